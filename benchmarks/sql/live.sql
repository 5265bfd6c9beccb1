-- name: due
-- How many offers and ends of offers were to be delivered since a moment.
SELECT coalesce(sum(jsonb_array_length(data -> 'offers')) FILTER (WHERE kind = 'booking.offered'), 0)::int AS offers,
       coalesce(sum(jsonb_array_length(data -> 'lost')) FILTER (WHERE kind = 'booking.awarded'), 0)::int AS gone
FROM events WHERE at >= $1
