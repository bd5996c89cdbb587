"""HTTP routes: requests, responses, and the fields of their events."""
