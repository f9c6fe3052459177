#ifndef HOLDFAST_CCALLLOG_H
#define HOLDFAST_CCALLLOG_H

/* Which calls this process makes to write, sync and rename what stands in a directory, in their order: as
   long as the power stays on nothing else tells whether a sync was asked for. On Linux alone.

   A program that has this in it calls these functions in the C library's place: `pwrite`, `fdatasync`,
   `fsync` and `rename`. Each does what the library's does and logs it, a line each, with paths from the
   directory on ("." is the directory itself); what fails is not logged, but for a sync's beginning:

     write PATH OFFSET BYTES    when the call returns
     sync NUMBER PATH           when it is made
     synced NUMBER PATH         when it returns
     rename SOURCE TARGET       when it returns */

/* Begins a log of what happens in a directory, given without symbolic links. There is one at a time. */
void call_log_begin(const char *directory);

/* Logs the word `note` and a text. */
void call_log_note(const char *text);

/* Ends the log; returns its lines, to be freed. */
char *call_log_end(void);

#endif
