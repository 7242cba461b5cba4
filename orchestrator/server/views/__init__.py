"""Views: what parts of pages show, computed from histories without a request."""
