/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs check CONFIG */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

/* argv[0] is the subcommand's name. Returns the exit code: 0 no mistakes, 1 mistakes, 2 wrong usage. */
int cli_check(int argc, char **argv);

#endif
