-- One row an attempt that reached a provider. spend is in billionths of a dollar, times are microseconds since
-- 1970, tags a JSON array.
CREATE TABLE sluice_spend (
    id              TEXT   NOT NULL,
    started         BIGINT NOT NULL,
    ended           BIGINT NOT NULL,
    first_token     BIGINT NOT NULL,
    request_id      TEXT   NOT NULL,
    attempt         BIGINT NOT NULL,
    call_type       TEXT   NOT NULL,
    api_key         TEXT   NOT NULL,
    key_alias       TEXT   NOT NULL,
    team_id         TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    end_user        TEXT   NOT NULL,
    organization_id TEXT   NOT NULL,
    session_id      TEXT   NOT NULL,
    tags            TEXT   NOT NULL,
    model           TEXT   NOT NULL,
    model_group     TEXT   NOT NULL,
    model_id        TEXT   NOT NULL,
    provider        TEXT   NOT NULL,
    api_base        TEXT   NOT NULL,
    prompt          BIGINT NOT NULL,
    completion      BIGINT NOT NULL,
    cached_read     BIGINT NOT NULL,
    cache_write     BIGINT NOT NULL,
    reasoning       BIGINT NOT NULL,
    spend           BIGINT NOT NULL,
    stream          BIGINT NOT NULL,
    cache_hit       BIGINT NOT NULL,
    estimated       BIGINT NOT NULL,
    orphaned        BIGINT NOT NULL,
    status          BIGINT NOT NULL,
    failure         TEXT   NOT NULL,
    PRIMARY KEY (id, started)
);

CREATE INDEX sluice_spend_started ON sluice_spend (started);
CREATE INDEX sluice_spend_request ON sluice_spend (request_id);
CREATE INDEX sluice_spend_key ON sluice_spend (api_key, started);
CREATE INDEX sluice_spend_team ON sluice_spend (team_id, started) WHERE team_id <> '';
CREATE INDEX sluice_spend_user ON sluice_spend (user_id, started) WHERE user_id <> '';
CREATE INDEX sluice_spend_customer ON sluice_spend (end_user, started) WHERE end_user <> '';
