-- name: person_contexts
-- The same for messages about a person. The certificate is the one that the entry names.
SELECT m.id, moment() AS now, CASE WHEN r.erased_at IS NULL THEN r.email END AS email, r.language, f.market, j.data,
       c.texts ->> r.language::text AS certificate, q.reasons
FROM messages m
JOIN journal j ON j.subject_kind = m.subject_kind AND j.subject_id = m.subject_id AND j.seq = m.seq
JOIN people r ON r.id = m.recipient_id
LEFT JOIN friends f ON f.id = r.id
LEFT JOIN certificates c ON c.code = j.data ->> 'certificate'
LEFT JOIN review_requests q ON q.id = (j.data ->> 'request')::uuid AND q.friend_id = r.id
WHERE m.id = ANY($1::uuid[])

-- name: message_contexts
-- Everything a message may need, read when it is sent and not when it was queued. The friend and the offer are those of
-- the event, even if another friend holds the job by now. An address is read only for its own customer.
SELECT m.id, moment() AS now, b.package, b.package_version, b.market, b.state, b.cell_label, b.price_minor, b.pay_minor, b.currency, b.link_generation,
       e.data AS event_data, coalesce(e.at, moment()) AS since,
       CASE WHEN r.erased_at IS NULL THEN r.email END AS email, r.language,
       CASE WHEN m.audience = 'customer' THEN concat_ws(', ', nullif(r.street, ''),
         nullif(concat_ws(' ', r.postcode, r.city), '')) END AS address,
       (SELECT count(*) FROM offers n WHERE n.booking_id = b.id) AS asked,
       o.id AS offer_id, o.state AS offer_state, o.shown_m, o.expires_at,
       s.phone_id, s.phone_endpoint, s.phone_p256dh, s.phone_auth, s.phone_created_at, s.phone_rung_at, s.phone_problem,
       CASE m.audience WHEN 'customer' THEN th.read_by_customer < th.by_friend
         ELSE th.read_by_friend < th.by_customer END AS unread,
       h.name AS friend_name, a.state AS award_state, a.contact_due_at, a.contacted_at, a.appointment_revision,
       lower(a.appointment) AS starts_at, upper(a.appointment) AS ends_at
FROM messages m
JOIN bookings b ON b.id = m.booking_id
LEFT JOIN events e ON e.booking_id = m.booking_id AND e.seq = m.seq
LEFT JOIN people r ON r.id = m.recipient_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN m.data->>'offer' ~ '^[0-9a-f-]{36}$' THEN (m.data->>'offer')::uuid END AS offer,
         CASE WHEN coalesce(e.data->>'friend', m.data->>'friend') ~ '^[0-9a-f-]{36}$'
           THEN coalesce(e.data->>'friend', m.data->>'friend')::uuid END AS friend,
         CASE WHEN m.data->>'thread' ~ '^[0-9a-f-]{36}$' THEN (m.data->>'thread')::uuid END AS thread) AS named
LEFT JOIN offers o ON o.id = named.offer AND o.booking_id = b.id
LEFT JOIN people h ON h.id = named.friend
LEFT JOIN threads th ON th.award_id = named.thread
LEFT JOIN LATERAL (SELECT * FROM awards w WHERE w.booking_id = b.id AND w.friend_id = named.friend
                   ORDER BY w.round DESC, w.awarded_at DESC LIMIT 1) AS a ON true
LEFT JOIN LATERAL (
  SELECT array_agg(id) AS phone_id, array_agg(endpoint) AS phone_endpoint, array_agg(p256dh) AS phone_p256dh,
         array_agg(auth) AS phone_auth, array_agg(created_at) AS phone_created_at, array_agg(rung_at) AS phone_rung_at,
         array_agg(problem) AS phone_problem
  FROM push_subscriptions p WHERE p.friend_id = m.recipient_id) AS s ON m.channel = 'push'
WHERE m.id = ANY($1::uuid[])
