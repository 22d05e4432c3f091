import type { TestDatabase } from '@nexus/testing'

type Pool = TestDatabase['pool']

/**
 * The schema as SQL that a reader knows, from the catalogs and the same for every supported PostgreSQL: tables with
 * their columns and constraints, indexes, functions. Partitions are left out, which come with time, and so is the list
 * of migrations, which is not ours.
 */
export async function dumpSchema(pool: Pool): Promise<string> {
  const { rows: tables } = await pool.query<{ oid: number; name: string; suffix: string }>(
    `select c.oid, c.relname as name,
            coalesce(' partition by ' || pg_get_partkeydef(c.oid), '') ||
            coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '') as suffix
       from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname <> 'schema_migrations'
      order by c.relname`,
  )
  const blocks = await Promise.all(
    tables.map(async ({ oid, name, suffix }) => {
      const lines = [...(await listColumns(pool, oid)), ...(await listConstraints(pool, oid))]
      const indexes = await listIndexes(pool, oid)
      return [`create table ${name} (\n${lines.map((line) => `  ${line}`).join(',\n')}\n)${suffix};`, ...indexes].join(
        '\n',
      )
    }),
  )
  return `${[...blocks, ...(await listOthers(pool))].join('\n\n')}\n`
}

async function listColumns(pool: Pool, table: number): Promise<readonly string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ||
            case when a.attnotnull then ' not null' else '' end ||
            coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
       from pg_attribute a
       left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
      order by a.attnum`,
    [table],
  )
  return rows.map(({ line }) => line)
}

/** Without those of NOT NULL, which have rows of their own from PostgreSQL 18 on. */
async function listConstraints(pool: Pool, table: number): Promise<readonly string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) as line
       from pg_constraint where conrelid = $1 and contype in ('c', 'f', 'p', 'u', 'x') order by conname`,
    [table],
  )
  return rows.map(({ line }) => line)
}

/** Without those that constraints make. */
async function listIndexes(pool: Pool, table: number): Promise<readonly string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select pg_get_indexdef(i.indexrelid) || ';' as line
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = $1 and not exists (select from pg_constraint where conindid = i.indexrelid and conrelid = $1)
      order by c.relname`,
    [table],
  )
  return rows.map(({ line }) => line)
}

/** Views, functions, triggers, types and extensions: there are none, and nobody adds one unseen. */
async function listOthers(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select 'view ' || relname as line from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('v', 'm', 'f', 'S')
        and relname not like 'schema_migrations%'
      union all
     select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
      union all
     select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
      union all
     select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('d', 'e', 'r')
      union all
     select 'extension ' || extname from pg_extension where extname <> 'plpgsql'
      order by line`,
  )
  return rows.map(({ line }) => `${line};`)
}
