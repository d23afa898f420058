"""What alembic runs: the migrations over the connection that the ledger hands it, all of them or none.

The ledger has begun a transaction, in which SQLite makes tables as well; alembic leaves its end to the ledger.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
