"""What agents tell one another: results, kept and found again."""
