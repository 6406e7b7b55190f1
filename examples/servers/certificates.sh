#!/bin/sh
# Makes a small CA, once, and a certificate for each server: certificates.sh DIRECTORY NAME=ADDRESS…
#
#   certificates.sh ca lock-1=10.0.0.11 lock-2=10.0.0.12 lock-3=10.0.0.13
#
# Writes DIRECTORY/ca.key and ca.crt if they are not there, and NAME.key and NAME.crt for each name anew. A certificate is
# good for its name, its address, and for localhost, which the operator's redis-cli uses on the server itself. Run it
# again to renew them; DAYS (825) is for how long they are good.
set -eu
umask 077

[ $# -ge 2 ] || { echo "usage: certificates.sh DIRECTORY NAME=ADDRESS…" >&2; exit 64; }
directory=$1
shift
mkdir -p "$directory"
cd "$directory"
days=${DAYS:-825}

# The configuration of the system would add extensions of its own.
printf '[req]\ndistinguished_name=dn\n[dn]\n' >openssl.cnf

# request NAME: a new key, and what is to be signed.
request() {
    openssl req -new -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=$1" -keyout "$1.key.new" -out "$1.csr" 2>/dev/null
}

if [ ! -e ca.key ]; then
    request ca
    printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' >ca.ext
    openssl x509 -req -days 3650 -in ca.csr -signkey ca.key.new -extfile ca.ext -out ca.crt 2>/dev/null
    mv ca.key.new ca.key
    rm ca.csr ca.ext
fi

for server; do
    name=${server%%=*} address=${server#*=}
    case $name=$address in
    "$server") ;;
    *) echo "certificates.sh: expected NAME=ADDRESS, not '$server'" >&2; exit 64 ;;
    esac
    request "$name"
    {
        echo 'basicConstraints=critical,CA:FALSE'
        echo 'keyUsage=critical,digitalSignature'
        echo 'extendedKeyUsage=serverAuth,clientAuth'
        echo "subjectAltName=DNS:$name,IP:$address,DNS:localhost,IP:127.0.0.1"
    } >"$name.ext"
    openssl x509 -req -days "$days" -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial \
        -extfile "$name.ext" -out "$name.crt" 2>/dev/null
    mv "$name.key.new" "$name.key"
    rm "$name.csr" "$name.ext"
done
rm -f openssl.cnf
