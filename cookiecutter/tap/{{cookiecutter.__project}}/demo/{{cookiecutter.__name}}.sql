{% if cookiecutter.source == "sql" %}
-- The database of the demo, {{ cookiecutter.__name }}.sqlite.
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, created_at TIMESTAMP NOT NULL);
INSERT INTO customers VALUES
    (1, 'Ada Lovelace', 'ada@example.com', '2024-01-05 09:00:00'),
    (2, 'Blaise Pascal', 'blaise@example.com', '2024-01-06 10:30:00'),
    (3, 'Grace Hopper', NULL, '2024-02-01 12:00:00');
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    status VARCHAR(20) NOT NULL,
    total NUMERIC(10, 2) NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
INSERT INTO orders VALUES
    (11, 1, 'paid', 9.5, '2024-03-01 10:00:00'),
    (12, 2, 'open', 12.25, '2024-03-02 10:00:00'),
    (13, 1, 'paid', 0.75, '2024-03-03 10:00:00'),
    (14, 3, 'open', 80, '2024-03-04 10:00:00'),
    (15, 3, 'paid', 7, '2024-03-05 10:00:00');
{% endif %}
