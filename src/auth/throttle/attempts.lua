-- Attempts to sign in, counted for all processes: the rules of src/auth/throttle.rs; tests hold the
-- two against each other.
--
-- KEYS: a hash for each subject: f (failures), a (until when they were forgiven), b (blocked until),
-- n (attempts), t (when a refusal was told last)
-- ARGV: what to do, the time or '', then what is said below

local call = redis.call
local now = tonumber(ARGV[2])
if not now then
    local time = call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
    return string.format('%.0f', number)
end

local function forgive(key, number)
    local count = call('HMGET', key, 'f', 'n')
    if count[1] then
        call('HSET', key, 'f', text(math.max(tonumber(count[1]) - 1, 0)))
        -- Another's wait is not its to end.
        if tonumber(count[2]) == number then
            call('HSET', key, 'b', '0')
        end
    end
end

if ARGV[1] == 'forgive' then
    -- ... the number of the attempt at each
    for i, key in ipairs(KEYS) do
        forgive(key, tonumber(ARGV[2 + i]))
    end
    return {}
end

-- ... first wait, longest wait, forgiven after, told every, forgotten after, what is free at each
local first, longest, forgiven, told_every, forgotten = tonumber(ARGV[3]), tonumber(ARGV[4]),
    tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local numbers = {}
for i, key in ipairs(KEYS) do
    local free = tonumber(ARGV[7 + i])
    local count = call('HMGET', key, 'f', 'a', 'b', 'n', 't')
    local failures, at, blocked, number = tonumber(count[1] or 0), tonumber(count[2] or 0),
        tonumber(count[3] or 0), tonumber(count[4] or 0)
    if now < blocked then
        local is_news = not count[5] or now - tonumber(count[5]) >= told_every
        if is_news then
            call('HSET', key, 't', text(now))
        end
        -- What was counted for the others did not happen.
        for j = 1, i - 1 do
            forgive(KEYS[j], numbers[j])
        end
        return { 1, blocked - now, is_news and 1 or 0 }
    end
    if failures == 0 then
        at = now
    end
    local periods = math.floor(math.max(now - at, 0) / forgiven)
    at = at + periods * forgiven
    failures = math.max(failures - periods, 0) + 1
    number = number + 1
    if failures >= free then
        blocked = now + math.min(first * 2 ^ math.min(failures - free, 20), longest)
    end
    call('HSET', key, 'f', text(failures), 'a', text(at), 'b', text(blocked), 'n', text(number))
    call('PEXPIRE', key, forgotten)
    numbers[i] = number
end
return { 0, unpack(numbers) }
