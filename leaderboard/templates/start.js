document.querySelectorAll("[data-board]").forEach((place, i) => board(place, i === 0 && !place.closest("details")));
for (const place of document.querySelectorAll("[data-matrix]")) matrix(place);
