"""How people reach the desk: terminal, chat channels, web; each turns words into one Call and one Reply into words."""
