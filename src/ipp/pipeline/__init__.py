"""The three stages of a job and the runners that compute them."""
