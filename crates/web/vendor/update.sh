#!/bin/sh
# Fetches the libraries of the pages from npm and writes them to this folder, with their licences and checksums.
set -eu
cd "$(dirname "$0")"
HTMX=4.0.1
LUCIDE=1.62.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for package in "htmx.org@$HTMX" "lucide-static@$LUCIDE"; do
    tarball=$(cd "$work" && npm pack --silent "$package")
    mkdir "$work/${package%%@*}"
    tar -xzf "$work/$tarball" -C "$work/${package%%@*}" --strip-components=1
done
cp "$work/htmx.org/dist/htmx.min.js" "$work/htmx.org/LICENSE" htmx/
cp "$work/lucide-static/LICENSE" lucide/
{
    echo '<svg xmlns="http://www.w3.org/2000/svg">'
    for name in $(cat lucide/NAMES); do
        printf '<symbol id="%s" viewBox="0 0 24 24">' "$name"
        sed -e '/<!--/d' "$work/lucide-static/icons/$name.svg" | tr -d '\n' | sed -e 's/<svg[^>]*>//' -e 's/<\/svg>//' -e 's/> *</></g' -e 's/^ *//'
        echo '</symbol>'
    done
    echo '</svg>'
} > lucide/icons.svg
sha256sum htmx/* lucide/* > SHA256SUMS
