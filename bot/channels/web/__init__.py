"""The desk as a page in a browser. Importing this package loads no server; `server` does, in a thread, once the page is wanted."""
