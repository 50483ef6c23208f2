"""Other libraries read what this project writes, and it reads what they write: `make interop`."""
