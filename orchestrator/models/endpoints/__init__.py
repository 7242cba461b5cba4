"""What endpoints need before the first request, and what they say of themselves: keys, addresses, models, reasons."""
