"""What a load generator saw of each request, against what the index holds of it: request by request."""
