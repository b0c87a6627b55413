use super::{Mark, Store, StoreError};

impl Store {
    /// A sign that changes, a moment after it is durable, with every audited change of whatever
    /// process: where it is the same, so is [`Store::access_version`], unless a process died in that
    /// moment. None when it cannot be read.
    pub fn access_mark(&self) -> Option<Mark> {
        self.stamp.read()
    }

    /// A number that changes with whatever [`Store::key_by_digest`] looks at, but for the use of
    /// keys and for time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn access_version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!("SELECT version FROM access_version")
            .fetch_one(&self.reader)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    /// All that [`Store::key_by_digest`] looks at.
    const TABLES: [&str; 8] = [
        "api_keys",
        "users",
        "projects",
        "service_accounts",
        "project_members",
        "model_permissions",
        "rate_limits",
        "organization",
    ];

    /// A row in each table.
    const ROWS: &str = "
        INSERT INTO users (id, email, password_hash, role, created_at) VALUES ('u', 'e', '', 'owner', 1);
        INSERT INTO projects (id, name, created_at) VALUES ('p', 'p', 1);
        INSERT INTO service_accounts VALUES ('s', 'p', 's', 'none', 1, NULL);
        INSERT INTO project_members VALUES ('p', 'u', 'owner', 1);
        INSERT INTO model_permissions VALUES ('p', 'deny_list', '[]');
        INSERT INTO rate_limits VALUES ('p', 'm', 1, 1, 1);
        INSERT INTO api_keys (id, kind, name, project_id, pepper_id, digest, last4, created_at)
        VALUES ('k', 'project', '', 'p', 'x', zeroblob(32), 'last', 1)";

    #[tokio::test]
    async fn changes_with_everything_that_decides_and_not_with_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
        let run = async |sql: String| {
            let before = store.access_version().await.unwrap();
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()));
            let mut writing = store.writing().await.unwrap();
            done.execute(writing.connection()).await.expect(&sql);
            writing.done();
            store.access_version().await.unwrap() - before
        };
        assert!(run(ROWS.to_owned()).await > 0);
        for table in TABLES {
            let columns = format!("PRAGMA table_info({table})");
            let columns = sqlx::query(sqlx::AssertSqlSafe(columns));
            for column in columns.fetch_all(&store.reader).await.unwrap() {
                let column: String = column.get("name");
                let changed = run(format!("UPDATE {table} SET {column} = {column}")).await;
                assert!(changed > 0, "{table}.{column}");
            }
        }
        assert_eq!(run("UPDATE api_keys SET last_used_at = 2".into()).await, 0);
        for table in TABLES.iter().filter(|table| **table != "organization") {
            let off = "PRAGMA foreign_keys = 0; DELETE FROM ";
            assert!(run(format!("{off}{table}")).await > 0, "{table}");
        }
    }
}
