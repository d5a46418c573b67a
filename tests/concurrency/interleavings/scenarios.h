/* scenarios.h: what is explored. Each file has a table; names are those of the tests. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "explorer.h"

extern const struct explorer_scenario inbox_scenarios[];
extern const size_t inbox_scenarios_size;
extern const struct explorer_scenario stop_scenarios[];
extern const size_t stop_scenarios_size;
extern const struct explorer_scenario whole_scenarios[];
extern const size_t whole_scenarios_size;
extern const struct explorer_scenario clock_scenarios[];
extern const size_t clock_scenarios_size;
extern const struct explorer_scenario loop_scenarios[];
extern const size_t loop_scenarios_size;
extern const struct explorer_scenario transaction_scenarios[];
extern const size_t transaction_scenarios_size;
extern const struct explorer_scenario drive_scenarios[];
extern const size_t drive_scenarios_size;

#endif
