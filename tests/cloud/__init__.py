"""AWS and Databricks on loopback: real clients, real protocols, nothing of it in this process's memory."""
