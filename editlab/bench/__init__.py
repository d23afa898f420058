"""The papers' tables and EditLab's own speed: generators of rows that a terminal and a page can both consume."""
