"""What the theme leaves out and assistive technology needs: a name of the search dialog."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

_DIALOG = 'data-md-component="search" role="dialog"'


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the dialog of a page."""
    return output.replace(_DIALOG, f'{_DIALOG} aria-label="Search"')


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Name the dialog of the page for addresses that do not exist."""
    return output.replace(_DIALOG, f'{_DIALOG} aria-label="Search"')
