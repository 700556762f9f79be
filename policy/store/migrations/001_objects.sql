-- What administrators create, as JSON documents. A deleted one stays as a tombstone, so that replicas learn
-- of it. unique_name is a second name that no other object of the kind may have, such as a key's alias.
CREATE TABLE sluice_objects (
    kind        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    deleted     BIGINT NOT NULL DEFAULT 0,
    unique_name TEXT,
    doc         TEXT   NOT NULL,
    changed_at  BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX sluice_objects_version ON sluice_objects (version);

CREATE UNIQUE INDEX sluice_objects_unique_name ON sluice_objects (kind, unique_name);

-- One row: the number of the last change. Whoever changes an object first updates it, and so holds the only
-- place in the queue until the commit: numbers appear in the order of commits, without gaps.
CREATE TABLE sluice_sequence (
    one  BIGINT PRIMARY KEY,
    last BIGINT NOT NULL
);

INSERT INTO sluice_sequence (one, last) VALUES (1, 0);
