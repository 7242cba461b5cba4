"""Tool calls as models really send them: as text, under other names, or with broken arguments."""
