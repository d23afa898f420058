"""The ledger: events that are only ever appended, the files that they name, and what copies and checks them."""
