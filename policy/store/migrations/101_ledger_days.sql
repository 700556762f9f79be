-- What each UTC day's rows (days since 1970) add up to, written in the transaction that writes the rows.
CREATE TABLE sluice_spend_daily (
    day         BIGINT NOT NULL,
    api_key     TEXT   NOT NULL,
    team_id     TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    end_user    TEXT   NOT NULL,
    model_group TEXT   NOT NULL,
    model       TEXT   NOT NULL,
    provider    TEXT   NOT NULL,
    spend       BIGINT NOT NULL,
    prompt      BIGINT NOT NULL,
    completion  BIGINT NOT NULL,
    calls       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    PRIMARY KEY (day, api_key, team_id, user_id, end_user, model_group, model, provider)
);

CREATE INDEX sluice_spend_daily_key ON sluice_spend_daily (api_key, day);
CREATE INDEX sluice_spend_daily_team ON sluice_spend_daily (team_id, day);
CREATE INDEX sluice_spend_daily_user ON sluice_spend_daily (user_id, day);
CREATE INDEX sluice_spend_daily_customer ON sluice_spend_daily (end_user, day);

-- The same by tag: a row with several tags counts in each.
CREATE TABLE sluice_spend_daily_tags (
    day         BIGINT NOT NULL,
    tag         TEXT   NOT NULL,
    api_key     TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    spend       BIGINT NOT NULL,
    prompt      BIGINT NOT NULL,
    completion  BIGINT NOT NULL,
    calls       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    PRIMARY KEY (day, tag, api_key, user_id)
);

CREATE INDEX sluice_spend_daily_tags_tag ON sluice_spend_daily_tags (tag, day);

-- What a scope's sum begins with beside its rows: an amount that it brought along (a key's successor, spend that
-- was imported), or, with reset = 1, that nothing before counts.
CREATE TABLE sluice_spend_marks (
    kind     TEXT   NOT NULL,
    scope_id TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    reset    BIGINT NOT NULL,
    spend    BIGINT NOT NULL,
    PRIMARY KEY (kind, scope_id, at)
);
