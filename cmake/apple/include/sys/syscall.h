/* Numbers of system calls are private on iOS; signal_handler.cpp includes this without need. */
