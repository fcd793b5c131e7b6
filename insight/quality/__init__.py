"""Quality from the outside: whether answers are right, and how sure that is."""
