import asyncpg
import httpx
from crm_dev.probes import answers_amqp, answers_http, answers_sql
from crm_testing.servers import PostgresServer, RabbitServer, TemporalServer, running_postgres


class TestPostgres:
    async def test_gives_each_caller_a_database_of_its_own(
        self, postgres_server: PostgresServer
    ) -> None:
        first = await postgres_server.create_database("dev-tests")
        second = await postgres_server.create_database("dev-tests")
        assert first != second
        connection = await asyncpg.connect(first)
        try:
            assert await connection.fetchval("SELECT gen_random_uuid() IS NOT NULL")
        finally:
            await connection.close()

    async def test_refuses_a_wrong_password(self, postgres_server: PostgresServer) -> None:
        assert not await answers_sql(postgres_server.url.replace(":only-for", ":not-for"))

    async def test_keeps_its_data_over_a_stop_and_a_kill(self) -> None:
        async with running_postgres() as server:
            url = await server.create_database()
            await server.stop()
            assert not await answers_sql(url)
            await server.start()
            assert await answers_sql(url)
            await server.kill()
            await server.start()
            assert await answers_sql(url)


class TestRabbitMQ:
    async def test_greets_clients_and_gives_virtual_hosts(
        self, rabbitmq_server: RabbitServer
    ) -> None:
        url = await rabbitmq_server.create_vhost("dev-tests")
        assert await answers_amqp(rabbitmq_server.piece.ports[0])
        async with rabbitmq_server.management() as client:
            name = url.rpartition("/")[2]
            permissions = (await client.get(f"/api/vhosts/{name}/permissions")).json()
        assert [each["configure"] for each in permissions] == [".*"]

    async def test_is_not_taken_for_a_web_server(self, rabbitmq_server: RabbitServer) -> None:
        assert not await answers_http(rabbitmq_server.piece.ports[0], "/")


class TestTemporal:
    async def test_has_the_default_namespace(self, temporal_server: TemporalServer) -> None:
        port = temporal_server.piece.ports[1]
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/api/v1/namespaces/default")
        assert answer.json()["namespaceInfo"]["name"] == "default"
