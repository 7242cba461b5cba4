"""Reading threads for the page, so that a look costs what has changed since the last one."""
