"""Reports: a run as a picture or a page."""
