"""An inference service that speaks OpenAI's chat protocol and writes one event per request."""
