"""The script that alembic runs: the migrations on the ledger's connection, all of them or none.

The ledger has begun a transaction, which also covers new tables in SQLite, and ends it after the migrations.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
