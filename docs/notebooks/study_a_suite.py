# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Study a suite
#
# A suite comes with what its references made of each other's signals. This notebook uses these verdicts to
# find out how the models of a task differ; no model is run. The task is deepfake detection in the starter
# suite, whose models are small: it shows the method, and says nothing about full-size models of these
# architectures. Cells with `assert` check what the text says.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import goodenough as ge

suite = ge.load_suite()
suite.to_frame().query(
    "task == 'deepfake' and family == 'responsibility@bands32'"
)

# %% [markdown]
# Several references give silence the class that they give the clips of one kind. Their signals for that
# class are degenerate, which means that no sound at all is enough, and they are left out.
#
# ## Who accepts whose signals?

# %%
ge.plot_matrix(suite, "deepfake")

# %% [markdown]
# Each row holds the signals of one reference, each column the answers of one model. One column stands out:
# `starter-deepfake-ast` accepts its own signals and hardly any others. The other way round there is no such gap:
# the others do accept its signals.

# %%
matrix = ge.transfer_matrix(suite, "deepfake")
matrix.index = matrix.columns = matrix.columns.str.removeprefix(
    "starter-deepfake-"
)
assert (matrix["ast"].drop("ast") < 0.01).all()
assert (matrix.loc["ast"] > 0.7).all()

# %% [markdown]
# Accuracy on whole clips does not prepare you for this. It is the lowest of the six, and yet the model is
# right about four clips in five:

# %%
verdicts = suite.verdicts("deepfake")
for column in ("model", "reference"):
    names = verdicts[column].str.removeprefix("local/starter-deepfake-")
    verdicts[column] = names

whole = verdicts[verdicts["stimulus"] == "whole"]
is_right = whole["predicted"] == whole["truth"]
accuracy = is_right.groupby(whole["model"]).mean()
accuracy.sort_values(ascending=False).to_frame("accuracy").round(2)

# %%
assert accuracy["ast"] > 0.75

# %% [markdown]
# ## Is it a flat-earther?
#
# A **flat-earther** is a model that rejects what all others accept, or whose signals nobody else accepts.
# `study` tests every model for both, by shuffling the verdicts among the models.

# %%
study = ge.study(suite, "deepfake")
findings = study.to_frame("flat_earthers")
findings.index = findings["model"].str.removeprefix("local/starter-deepfake-")
columns = ["rejects_alone", "rejects_alone_n", "rejects_alone_p_adjusted"]
columns += ["rejected_by_all", "rejected_by_all_p_adjusted"]
findings[["verdict", *columns]].round(4)

# %% [markdown]
# `rejects_alone` is the share of signals that the model rejects, of those that all others accept, and
# `rejected_by_all` the share of the model's own signals that nobody else accepts. A small p is not enough for
# a finding: the share must also lie clearly above the median of the others. Here one p is small, that of the
# signals which `starter-deepfake-ast` alone rejects.

# %%
p_adjusted = findings[
    ["rejects_alone_p_adjusted", "rejected_by_all_p_adjusted"]
]
assert p_adjusted.loc["ast", "rejects_alone_p_adjusted"] < 0.05
assert (p_adjusted["rejects_alone_p_adjusted"].drop("ast") > 0.05).all()
assert (p_adjusted["rejected_by_all_p_adjusted"] > 0.05).all()
assert findings["rejected_by_all"]["ast"] < 0.1

# %% [markdown]
# Count the share again from the verdicts, on the first extraction of each clip:

# %%
asked = verdicts[
    (verdicts["stimulus"] == "signal")
    & (verdicts["family"] == "responsibility@bands32")
    & (verdicts["draw"] == 1)
    & (verdicts["model"] != verdicts["reference"])
]
accepts = asked["predicted"] == asked["expected"]
by_signal = (
    accepts.groupby([asked["signal_id"], asked["model"]]).first().unstack()
)
of_others = by_signal[by_signal["ast"].notna()]
all_accept = of_others.drop(columns="ast").fillna(True).all(axis=1)
n = all_accept.sum()
n_rejected = n - of_others[all_accept]["ast"].sum()
print(f"rejects {n_rejected} of {n} signals that all others accept")

# %%
assert n == findings["rejects_alone_n"]["ast"]
assert n_rejected / n == findings["rejects_alone"]["ast"] > 0.9
assert findings["verdict"]["ast"] == "rejects sparse sound"

# %% [markdown]
# It rejects nearly all of them, and yet the verdict is not "flat-earther" but "rejects sparse sound". The
# reason is in the controls. A **matched** control keeps bins of the same shape and energy at other
# frequencies of the same clip, and carries no signal. If a model rejects these just as readily, its answer
# is about how sparse the sound is, not about the signal:

# %%
means = pd.DataFrame()
for rate in ("transfer", "matched", "swap"):
    pairs = ge.transfer_matrix(suite, "deepfake", rate=rate).stack()
    foreign = [reference != model for reference, model in pairs.index]
    means[rate] = pairs[foreign].groupby("model").mean()
means.index = means.index.str.removeprefix("starter-deepfake-")

figure, axes = plt.subplots(figsize=(7, 3.6), dpi=150, layout="constrained")
means.plot.barh(ax=axes, ylabel="")
axes.set(xlabel="Share accepted, mean over the other references", xlim=(0, 1))
axes.legend(loc="upper right")
axes.invert_yaxis()
plt.show()

# %%
assert (means.loc["ast"] < 0.01).all()

# %% [markdown]
# `starter-deepfake-ast` accepts hardly any signal and no control. For every other model the difference between
# transfer and swap, the **lift**, is above 0. Transfer alone would mislead: with two classes much is
# accepted by chance, and some models accept more than half of the matched controls, too.

# %%
lift = (means["transfer"] - means["swap"]).drop("ast")
assert (lift > 0).all()
assert (means["matched"] > 0.5).any()
lift.sort_values(ascending=False).to_frame("lift").round(3)

# %% [markdown]
# ## How much of a clip does each model need?
#
# The size of the signals explains the empty column. These are medians of the share of bins that a signal
# keeps:

# %%
medians = pd.Series(name="share of bins")
for reference in suite.references("deepfake"):
    signals = suite.signals("deepfake", reference)
    shares = pd.Series([each.record.mask.mean() for each in signals])
    name = reference.removeprefix("local/starter-deepfake-")
    medians[name] = shares.median()
medians.sort_values().to_frame().style.format("{:.1%}")

# %%
assert medians["ast"] > 4 * medians.drop("ast").max()

# %% [markdown]
# Its signals are more than four times as broad as those of any other. It needs most of the spectrum to be there before it gives one of the
# two classes (its third class is `incomplete`), and the signals of the others do not have that.
#
# Listen to a signal of it, and to one of another reference. Sounds are played at the same peak.

# %%
suite.signals("deepfake", "starter-deepfake-ast")[0]

# %%
suite.signals("deepfake", "starter-deepfake-hubert")[0]

# %% [markdown]
# ## What do the verdicts tell of the class?
#
# Transfer counts how often a judge gives the expected class. **Information** asks more generally how much a
# judge's answer to a signal tells of the class that the signal carries, in bits. For two classes it is at
# most 1; a judge that always answers the same tells 0, however often it happens to be right.

# %%
pairs = study.to_frame("pairs").dropna(subset="information_bits")
for column in ("reference", "judge"):
    pairs[column] = pairs[column].str.removeprefix("local/starter-deepfake-")
known = pairs.sort_values("information_bits", ascending=False)
known.round(2)

# %%
figure, axes = plt.subplots(figsize=(7, 3.4), dpi=150, layout="constrained")
for _, rows in known.groupby("reference"):
    bits = rows["information_bits"]
    names = "signals of " + rows["reference"] + ", judged by " + rows["judge"]
    errors = [bits - rows["low"], rows["high"] - bits]
    axes.errorbar(bits, names, xerr=errors, fmt="o", capsize=3)
axes.set(xlabel="Information (bits, 95 % interval)", xlim=(-0.02, 1))
plt.show()

# %%
assert set(known["reference"]) == {"ast", "sew"}
by_reference = known.groupby("reference")["information_bits"]
assert by_reference.median()["ast"] > 3 * by_reference.max()["sew"]

# %% [markdown]
# Only two references have signals of both classes; where all signals are of one class there is nothing to
# tell, and the other pairs are left out. Signals of `starter-deepfake-ast` tell the other models a good
# deal of the class, those of `starter-deepfake-sew` very little.
#
# ## Go on
#
# `goodenough study` writes all of this, and more, as a page with figures and sounds: how alike two
# extractions of a clip are, which bands each model uses, how many more bins it takes until another model
# agrees. To add a model of your own, pass its result: `ge.study(suite, "deepfake", extra=[result])`, where
# `result` is what [Score a model and look at it](score_a_model.py) makes, without `ci_width`.
