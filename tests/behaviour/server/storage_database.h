/* storage_database.h: more of storage_database.c, for tests of PostgreSQL alone. */
#ifndef STORAGE_DATABASE_H
#define STORAGE_DATABASE_H

#include "postgres_server.h"
#include "storage.h"

/* The server behind storage.h, from storage_begin to storage_end. */
extern struct postgres_server storage_database;

#endif
