"""Jobs: notifications asked for together. A spreadsheet is checked, and each of its rows becomes a notification."""
