"""The only user of the client library and of the network: credentials, REST, watch, streams."""
