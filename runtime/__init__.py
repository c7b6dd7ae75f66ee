"""The runtime: executes weight matrices with torch. It knows weights, not algorithms."""
