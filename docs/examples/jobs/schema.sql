-- Jobs: what is to be done, when, and what became of it.
create table job (
    id bigint generated always as identity primary key,
    task text not null,
    due timestamptz not null default now(),
    attempts int not null default 0,
    error text,
    done timestamptz
);

-- What is left to do is found at once, however much has been done.
create index job_due on job (due, id) where done is null;

create function ring_jobs() returns trigger language plpgsql as $$
begin
    perform pg_notify('jobs', '');
    return null;
end
$$;

-- One ring for a statement, not one for each row. It is delivered when the transaction commits.
create trigger job_rings
    after insert or update of due on job
    for each statement execute function ring_jobs();

-- What the shop makes of its jobs.
create table parcel (content text not null);
