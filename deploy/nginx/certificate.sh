#!/bin/sh
# Before nginx starts: a certificate of our own where none is there. It proves nothing to a stranger, who is warned by his
# browser; to have no warning put one of an authority's in its place, or mount it (deploy/README.md).
set -eu
folder=/etc/nginx/tls
if [ -e "$folder/tls.crt" ] && [ -e "$folder/tls.key" ]; then
    exit 0
fi
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \
    -subj "/CN=${GATEWAY_NAME:-localhost}" \
    -addext "subjectAltName=DNS:${GATEWAY_NAME:-localhost},DNS:localhost,IP:127.0.0.1" \
    -keyout "$folder/tls.key.new" -out "$folder/tls.crt.new" 2>/dev/null
# The certificate last: an end between the two begins anew.
mv "$folder/tls.key.new" "$folder/tls.key"
mv "$folder/tls.crt.new" "$folder/tls.crt"
echo "certificate: made one for ${GATEWAY_NAME:-localhost}, signed by itself: $folder/tls.crt"
