"""The pages, a file for each: what a request asks for, and what its template is given."""
