"""Summaries of events per minute and hour, for ranges longer than the retention of events."""
