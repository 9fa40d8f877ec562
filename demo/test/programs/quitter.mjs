// An appender that gives up.
process.exitCode = 3;
