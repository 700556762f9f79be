-- In a file, what many rows have in common stands once: who made a call, with what and to whom. A row is then short,
-- and one index finds the rows of a key, a team, a user or a customer. sluice_spend looks as it does in PostgreSQL.
CREATE TABLE sluice_spend_parties (
    party           INTEGER PRIMARY KEY,
    digest          BLOB   NOT NULL UNIQUE,
    call_type       TEXT   NOT NULL,
    api_key         TEXT   NOT NULL,
    key_alias       TEXT   NOT NULL,
    team_id         TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    end_user        TEXT   NOT NULL,
    organization_id TEXT   NOT NULL,
    tags            TEXT   NOT NULL,
    model           TEXT   NOT NULL,
    model_group     TEXT   NOT NULL,
    model_id        TEXT   NOT NULL,
    provider        TEXT   NOT NULL,
    api_base        TEXT   NOT NULL
);

CREATE INDEX sluice_spend_parties_key ON sluice_spend_parties (api_key);
CREATE INDEX sluice_spend_parties_team ON sluice_spend_parties (team_id);
CREATE INDEX sluice_spend_parties_user ON sluice_spend_parties (user_id);
CREATE INDEX sluice_spend_parties_customer ON sluice_spend_parties (end_user);

-- flags: 1 stream, 2 cache_hit, 4 estimated, 8 orphaned.
CREATE TABLE sluice_spend_rows (
    started     BIGINT NOT NULL,
    id          TEXT   NOT NULL,
    party       BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    first_token BIGINT NOT NULL,
    request_id  TEXT   NOT NULL,
    session_id  TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    prompt      BIGINT NOT NULL,
    completion  BIGINT NOT NULL,
    cached_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    reasoning   BIGINT NOT NULL,
    spend       BIGINT NOT NULL,
    flags       BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    failure     TEXT   NOT NULL,
    PRIMARY KEY (started, id)
);

INSERT INTO sluice_spend_parties (digest, call_type, api_key, key_alias, team_id, user_id, end_user, organization_id, tags, model, model_group,
    model_id, provider, api_base)
SELECT randomblob(16), * FROM (SELECT DISTINCT call_type, api_key, key_alias, team_id, user_id, end_user, organization_id, tags, model, model_group,
    model_id, provider, api_base FROM sluice_spend);

INSERT INTO sluice_spend_rows
SELECT started, id, party, ended, first_token, request_id, session_id, attempt, prompt, completion, cached_read, cache_write, reasoning, spend,
    stream + 2 * cache_hit + 4 * estimated + 8 * orphaned, status, failure
FROM sluice_spend s JOIN sluice_spend_parties p USING (api_key, call_type, key_alias, team_id, user_id, end_user, organization_id, tags, model,
    model_group, model_id, provider, api_base);

DROP TABLE sluice_spend;

-- The beginnings of ids are enough to find them, and a fifth of the index.
CREATE INDEX sluice_spend_rows_request ON sluice_spend_rows (substr(request_id, 1, 8));
CREATE INDEX sluice_spend_rows_party ON sluice_spend_rows (party, started);

CREATE VIEW sluice_spend AS
SELECT id, started, ended, first_token, request_id, attempt, call_type, api_key, key_alias, team_id, user_id, end_user, organization_id,
    session_id, tags, model, model_group, model_id, provider, api_base, prompt, completion, cached_read, cache_write, reasoning, spend,
    flags & 1 AS stream, flags >> 1 & 1 AS cache_hit, flags >> 2 & 1 AS estimated, flags >> 3 & 1 AS orphaned, status, failure
FROM sluice_spend_rows LEFT JOIN sluice_spend_parties USING (party);
