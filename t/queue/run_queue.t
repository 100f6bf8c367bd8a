# util/run.sh queue, as the README's reader calls it.

use strict;
use warnings;

use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root);

# It builds for the nginx that is installed.

plan skip_all => 'the nginx is not the one that is installed'
    if $ENV{TEST_NGINX_BINARY} ne '/usr/sbin/nginx';

# three ports in a row

my $port = 18300 + $$ % 1000;

my $said = `PORT=$port sh $Root/util/run.sh queue 2>&1`;

is($?, 0, 'it goes well') or diag($said);
is(scalar(() = $said =~ /^\{"success":true,"messageId":"m-\d"\} 200$/mg), 3,
   'three messages are accepted');
like($said, qr/^jelou:events  app  3  .*running/m, 'three entries wait');
is(join(' ', $said =~ /^attempt \d+: .*"id":"(m-\d)"/mg), 'm-1 m-2 m-3',
   'three events are delivered in order');
like($said, qr/^jelou:events  app  0  0  0  -  0  running/m, 'none is left');

done_testing;
