-- Runs one command, and echoes a token by which the caller recognizes the reply: on a connection out of step, the reply to another command
-- could arrive instead.
--
-- KEYS     the command's keys
-- ARGV     the call's echo, the command's name, and its arguments after the keys
-- Reply    the echo, and the command's reply

local command = { ARGV[2] }
for place = 1, #KEYS do
  command[place + 1] = KEYS[place]
end
for place = 3, #ARGV do
  command[#command + 1] = ARGV[place]
end
return { ARGV[1], redis.call(unpack(command)) }
