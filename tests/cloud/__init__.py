"""AWS and Databricks on loopback: real clients and protocols, nothing in this process's memory."""
