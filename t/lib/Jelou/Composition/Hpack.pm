package Jelou::Composition::Hpack;

# The header of an answer of HTTP/2, as text: RFC 7541, without the dynamic table,
# which nginx does not refer to.
#
#     my @fields = fields($block);            # [NAME, VALUE], ...

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(fields);

my @static = map { [split /=/, $_, 2] } qw(
    :authority= :method=GET :method=POST :path=/ :path=/index.html :scheme=http
    :scheme=https :status=200 :status=204 :status=206 :status=304 :status=400
    :status=404 :status=500
), map({ "$_=" } 'accept-charset'), 'accept-encoding=gzip, deflate',
map { "$_=" } qw(
    accept-language accept-ranges accept access-control-allow-origin age allow
    authorization cache-control content-disposition content-encoding
    content-language content-length content-location content-range content-type
    cookie date etag expect expires from host if-match if-modified-since
    if-none-match if-range if-unmodified-since last-modified link location
    max-forwards proxy-authenticate proxy-authorization range referer refresh
    retry-after server set-cookie strict-transport-security transfer-encoding
    user-agent vary via www-authenticate
);

# How many bits each character has; the codes follow, since those of one length are
# in the order of the characters, after all shorter ones.

my @bits = qw(
    13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28
    28 28 28 28 28 28 6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6
    7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13
    14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20
    22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22
    23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23
    22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24
    25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 20 24 20 21 22 21 21 23 22
    22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
);

my %character;

{
    my ($code, $length) = (0, 0);

    for my $c (sort { $bits[$a] <=> $bits[$b] || $a <=> $b } 0 .. 255) {
        $code <<= $bits[$c] - $length;
        $length = $bits[$c];
        $character{sprintf '%0*b', $length, $code++} = chr $c;
    }
}


# integer(\BLOCK, BITS): the number that begins with so many bits

sub integer {
    my ($block, $bits) = @_;

    my $most  = (1 << $bits) - 1;
    my $value = $most & ord substr $$block, 0, 1, '';

    return $value if $value < $most;

    for (my $shift = 0;; $shift += 7) {
        my $byte = ord substr $$block, 0, 1, '';
        $value += ($byte & 127) << $shift;
        return $value if $byte < 128;
    }
}

sub string {
    my $block = shift;

    my $packed = 128 & ord $$block;
    my $length = integer($block, 7);
    my $bytes  = substr $$block, 0, $length, '';

    return $bytes unless $packed;

    my ($text, $code) = ('', '');

    for my $bit (split //, unpack 'B*', $bytes) {
        $code .= $bit;

        if (defined(my $c = $character{$code})) {
            $text .= $c;
            $code = '';
        }
    }

    return $text;
}


sub fields {
    my $block = shift;

    my @fields;

    while ($block ne '') {
        my $first = ord $block;

        if ($first & 128) {
            push @fields, [@{ $static[integer(\$block, 7) - 1] }];
            next;
        }

        if (($first & 224) == 32) {
            integer(\$block, 5);            # the table's size
            next;
        }

        my $index = integer(\$block, $first & 64 ? 6 : 4);
        my $name  = $index ? $static[$index - 1][0] : string(\$block);

        push @fields, [$name, string(\$block)];
    }

    return @fields;
}


1;
