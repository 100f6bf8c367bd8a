# What nginx -t says of the queue's directives, with hiredis and without.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Server;

my $nginx = Jelou::Server->new(name => 'check');
my $dir   = "$Jelou::Dir/$Jelou::Name.check";
my $auth  = "$dir/auth";

Jelou::Server::spew($auth, "a-user a-password\n");

my $secret   = "jelou_secret \"$Jelou::Secret\"";
my $endpoint = "jelou_endpoint incoming_message; $secret;\n";
my $pass     = "jelou_redis_pass queue";
my $stream   = 'jelou_redis_stream events';

sub server {
    return "upstream queue {\nserver 127.0.0.1:6379;\n}\n"
           . "server {\nlisten 127.0.0.1:$Jelou::Port{SERVER};\n@_}\n";
}

# says(WANT, DIRECTIVE, ...): in a location that is an endpoint with
# jelou_redis_pass; the first directive stands at WHERE, the second at OTHER

sub says {
    my ($want, @directives) = @_;

    my @mark = ('# WHERE', '# OTHER');
    my $conf = join '', map { "$_; " . (shift @mark // '') . "\n" } @directives;

    return $nginx->says(server("location / {\n$endpoint$pass;\n$conf}\n"),
                        $want eq '' ? '' : "$want\n", join '; ', @directives);
}

sub bad { return "[emerg] $_[0] in \"$_[1]\" directive in WHERE" }

sub twice { return "[emerg] \"$_[0]\" directive is duplicate in OTHER" }


# jelou_redis_stream

says('', $stream);
says('', 'jelou_redis_stream "a:{$jelou_project_id}" maxlen=1');
says(bad('invalid number of arguments', 'jelou_redis_stream'), 'jelou_redis_stream');
says(bad('empty name', 'jelou_redis_stream'), 'jelou_redis_stream ""');
says('[emerg] invalid variable name in WHERE', 'jelou_redis_stream a$');
says('[emerg] unknown "no_such" variable', 'jelou_redis_stream $no_such');
says(twice('jelou_redis_stream'), $stream, $stream);
says(bad(qq(invalid parameter "$_"), 'jelou_redis_stream'), "$stream $_")
    for qw(maxlen= maxlen=0 maxlen=-1 maxlen=1k maxlen==5 minid=1 1000 limit= limit=0
           limit=1k);
says('', 'jelou_redis_stream a limit=1');


# jelou_redis_dedup, and the names that it cannot take

says('', "jelou_redis_dedup $_", $stream)
    for '1s', '24h', '1d12h', 'off', '1h key=$request_id';
says(bad(qq(invalid time "$_"), 'jelou_redis_dedup'), "jelou_redis_dedup $_", $stream)
    for qw(0 1x on 500ms -1);
says(bad(qq(invalid parameter "$_"), 'jelou_redis_dedup'), "jelou_redis_dedup 1h $_",
     $stream) for qw(key= off 1h zone=x);
says('[emerg] unknown "nobody" variable', 'jelou_redis_dedup 1h key=$nobody', $stream);
says(twice('jelou_redis_dedup'), 'jelou_redis_dedup off', 'jelou_redis_dedup 1h');

says('[emerg] the name in "jelou_redis_stream" has braces that leave it without '
     . 'a hash tag, which "jelou_redis_dedup" needs, in WHERE',
     "jelou_redis_stream \"$_\"", 'jelou_redis_dedup 1h')
    for 'a}', '}{', 'a{}', '{}a{b}';
says('', "jelou_redis_stream \"$_\"", 'jelou_redis_dedup 1h')
    for 'a', 'a{b', '{a}', '{a{b}}', '}{a}', 'a${uri}}';
says('', 'jelou_redis_stream "a}"');


# jelou_redis_db and the others

says('', "jelou_redis_db $_", $stream) for 0, 1, 15;
says(bad(qq(invalid number "$_"), 'jelou_redis_db'), "jelou_redis_db $_", $stream)
    for qw(-1 x 1x);
says(twice('jelou_redis_db'), 'jelou_redis_db 1', 'jelou_redis_db 0');

for (map { "jelou_redis_$_" } qw(connect_timeout read_timeout)) {
    says('', "$_ 5", $stream);
    says("[emerg] \"$_\" directive invalid value in WHERE", "$_ x", $stream);
    says(twice($_), "$_ 5", "$_ 6");
}

says('', "jelou_redis_pending $_", $stream) for 1, 100000;
says(bad(qq(invalid number "$_"), 'jelou_redis_pending'), "jelou_redis_pending $_", $stream)
    for qw(0 -1 x 1k);
says(twice('jelou_redis_pending'), 'jelou_redis_pending 1', 'jelou_redis_pending 2');


says('', 'jelou_redis_sentinel mymaster', $stream);
says(twice('jelou_redis_sentinel'), 'jelou_redis_sentinel a', 'jelou_redis_sentinel b');


# What had a meaning as long as each event had a connection

my $gone = 'is no longer there:';

says(qq([emerg] "jelou_redis_$_->[0]" $gone $_->[1] in WHERE),
     "jelou_redis_$_->[0] $_->[2]", $stream)
    for [send_timeout => 'the time of "jelou_redis_read_timeout" begins when a '
                         . 'command is written', '1s'],
        [buffer_size => 'replies are short, remove it', '4k'],
        [next_upstream => 'a server that refuses an event for all is always '
                          . 'followed by the next one, remove it', 'error timeout'],
        [next_upstream_tries => 'each server of the group is asked once, remove it', 1],
        [next_upstream_timeout => 'use "jelou_redis_connect_timeout" and '
                                  . '"jelou_redis_read_timeout"', '3s'];


# jelou_redis_auth_file, and that of Sentinels

for my $file (qw(jelou_redis_auth_file jelou_redis_sentinel_auth_file)) {
    says('', "$file $auth", $stream);
    says('', "$file off", $stream);
    says(twice($file), "$file $auth", "$file off");
    says(qq([emerg] "$file": open() "$dir/none" failed (2: No such file or directory) )
         . 'in WHERE', "$file $dir/none", $stream);
    says(qq([emerg] "$file": "$dir" is not a file of at most 67108864 bytes in WHERE),
         "$file $dir", $stream);

    for (['a-password', ''], ["a-user a-password\n", ''], ["# this\r\n\r\n\ta b \r\n", ''],
         ['', 1], ["#\n", 1], ["a b c\n", 1], ["a\nb\n", 1], ["a b\nc\n#\n", 1])
    {
        my ($text, $bad) = @$_;

        Jelou::Server::spew($auth, $text);
        says(!$bad ? '' : qq([emerg] "$file": "$auth" does not have one line )
                   . '"user password" or "password" in WHERE', "$file $auth", $stream);
    }

    Jelou::Server::spew($auth, 'a-password', 0644);
    says(qq([warn] "$file": others can read or write "$auth" in WHERE), "$file $auth",
         $stream);
    chmod 0600, $auth;
}

my $file = 'jelou_redis_auth_file';


# What a location must have

$nginx->says(server("location / {\n$endpoint$pass; # WHERE\n}\n"),
             qq([emerg] "jelou_redis_pass" needs a "jelou_redis_stream" in WHERE\n),
             'no stream');
$nginx->says(server("location / {\n$pass; # WHERE\n$stream;\n}\n"),
             qq([emerg] "jelou_redis_pass" needs a "jelou_endpoint" in WHERE\n),
             'no endpoint');
$nginx->says(server("location / {\n$endpoint$stream;\n$pass;\n$pass; # WHERE\n}\n"),
             qq([emerg] "jelou_redis_pass" directive is duplicate in WHERE\n),
             'jelou_redis_pass twice');
$nginx->says(server("$pass; # WHERE\n"),
             qq([emerg] "jelou_redis_pass" directive is not allowed here in WHERE\n),
             'jelou_redis_pass in a server');
$nginx->says(server("location / {\n${endpoint}if (\$arg_a) {\n$pass; # WHERE\n}\n}\n"),
             qq([emerg] "jelou_redis_pass" directive is not allowed here in WHERE\n),
             'jelou_redis_pass in an if');

for ('127.0.0.1', '127.0.0.1:6379', 'unix:/run/redis/redis.sock') {
    $nginx->says(server("location / {\n$endpoint$stream;\njelou_redis_pass $_;\n}\n"),
                 '', "jelou_redis_pass $_");
}

# What stands around a location counts in it, also in an "if" that it has.

$nginx->says("$stream;\njelou_redis_dedup 1h;\n$file $auth;\njelou_redis_db 1;\n"
             . server("location / {\n$endpoint$pass;\nif (\$arg_a) {\nset \$b 1;\n}\n}\n"
                      . "location /other {\nlimit_except GET {\nallow all;\n}\n"
                      . "$endpoint$pass;\n}\n"), '', 'inherited');

my $bot = "jelou_endpoint bot_message;\n$pass;\n$stream;\n";
my $key = '[emerg] "jelou_redis_dedup" needs a "key" parameter for '
          . qq("jelou_endpoint bot_message", whose messages have no id, in WHERE\n);

$nginx->says(server("location / {\n${bot}jelou_redis_dedup 1h; # WHERE\n}\n"), $key,
             'bot_message without a key');
$nginx->says(server("jelou_redis_dedup 1h; # WHERE\nlocation / {\n$bot}\n"), $key,
             'nor inherited');
$nginx->says(server("jelou_redis_dedup 1h;\nlocation / {\n${bot}jelou_redis_dedup off;\n}\n"),
             '', 'nor needed');
$nginx->says(server("location / {\n${bot}jelou_redis_dedup 1h key=\$arg_key;\n}\n"), '',
             'bot_message with one');

# Other users, other databases: other connections

$nginx->says(server("location /a {\n$endpoint$pass;\n$stream;\n$file $auth;\n}\n"
                    . "location /b {\n$endpoint$pass;\n$stream;\njelou_redis_db 1;\n}\n"),
             '', 'one of two locations has a user');


# Without hiredis, each directive says so: the module of such a build, alone, for
# the nginx whose headers are installed

SKIP: {
    skip 'the nginx is not the one that is installed', 1
        if $ENV{TEST_NGINX_BINARY} ne '/usr/sbin/nginx';

    my $src  = '/usr/share/nginx/src/src';
    my $code = 'ngx_http_jelou_module/queue/ngx_http_jelou_redis_module.c';

    # the configured nginx's headers, as a configure without hiredis makes them

    mkdir "$dir/objs" or die "$dir/objs: $!\n";
    Jelou::Server::spew("$dir/objs/$_", Jelou::Server::slurp("build/nginx/$_")
                        =~ s/NGX_HTTP_JELOU_HIREDIS/NOT_THERE/gr)
        for qw(ngx_auto_config.h ngx_auto_headers.h);

    Jelou::Server::spew("$dir/modules.c", <<'END');
#include <ngx_config.h>
#include <ngx_core.h>

extern ngx_module_t  ngx_http_jelou_redis_module;

ngx_module_t *ngx_modules[] = { &ngx_http_jelou_redis_module, NULL };
char *ngx_module_names[] = { "ngx_http_jelou_redis_module", NULL };
char *ngx_module_order[] = { NULL };
END

    is(system(qw(gcc -W -Wall -Werror -Wno-unused-parameter -fPIC -shared),
              '-o', "$dir/none.so", "-I$dir/objs",
              map({ "-I$src/$_" } qw(core event event/modules event/quic os/unix http)),
              map({ "-I$_" } grep { -d } glob "$src/http/*"),
              $code, "$dir/modules.c"), 0, 'the build without hiredis');

    my @directives = Jelou::Server::slurp($code)
                     =~ /redis_directive\("(jelou_redis_\w+)"/g;

    cmp_ok(scalar @directives, '>=', 8, 'the directives are found');

    local $ENV{TEST_NGINX_LOAD_MODULES} = "$dir/none.so";

    $nginx->says("$_ x; # WHERE\n# no jelou_access, which is the other module's\n", qq([emerg] "$_" needs a build with the hiredis )
                 . "library, which was not there when nginx was configured in WHERE\n",
                 "$_ without hiredis") for @directives;
}
