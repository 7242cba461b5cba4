"""A project of one's own: its configuration file, its teams, and making one."""
